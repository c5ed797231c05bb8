"""Small repositories laid out as three public ones are; every file is written for these tests.

As lightning-hydra-template (bddbc24, 2023): Hydra configs, a datamodule, a LightningModule, tests without assertions.
As a project of cookiecutter-data-science (0f6b163, 2025): data folders, typer commands, `assert False` for a test.
As nanoGPT (3adf61e, 2025): scripts at the top, settings as globals, a prepare.py for each data set.
"""

HYDRA = {
    "configs/train.yaml": "seed: null\nckpt_path: null\ntrain: true\ntest: true\n",
    "pyproject.toml": '[tool.pytest.ini_options]\naddopts = ["--strict-markers"]\n',
    "requirements.txt": "torch>=2.0.0\nlightning>=2.0.0\nhydra-core==1.3.2\n",
    "src/__init__.py": "",
    "src/data/__init__.py": "",
    "src/data/digits_datamodule.py": """
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, random_split

class DigitsDataModule(LightningDataModule):
    def __init__(self, rows: Dataset, lengths: tuple[int, int, int], num_workers: int = 0) -> None:
        super().__init__()
        self.rows, self.lengths, self.num_workers = rows, lengths, num_workers
    def setup(self, stage: str | None = None) -> None:
        generator = torch.Generator().manual_seed(7)
        self.data_train, self.data_val, self.data_test = random_split(self.rows, self.lengths, generator=generator)
    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.data_train, num_workers=self.num_workers, shuffle=True)
    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.data_test, num_workers=self.num_workers)
""",
    "src/train.py": """
import hydra
import lightning as L
from omegaconf import DictConfig

def fit(cfg: DictConfig) -> None:
    if cfg.get("seed"):
        L.seed_everything(cfg.seed, workers=True)
    trainer = hydra.utils.instantiate(cfg.trainer)
    trainer.fit(hydra.utils.instantiate(cfg.model), ckpt_path=cfg.get("ckpt_path"))

@hydra.main(version_base="1.3", config_path="../configs", config_name="train.yaml")
def main(cfg: DictConfig) -> None:
    fit(cfg)
""",
    "src/utils.py": "def ranked(message, *args) -> None:\n    del message, args\n",
    "tests/test_datamodules.py": """
from src.data.digits_datamodule import DigitsDataModule

def test_lengths() -> None:
    assert len(DigitsDataModule([1, 2, 3], (1, 1, 1)).lengths) == 3
""",
    "tests/test_train.py": "from src.train import fit\n\ndef test_a_short_run() -> None:\n    fit({})\n",
}

DATA_SCIENCE = {
    ".env": "# Variables of the environment go here.\n",
    "Makefile": "requirements:\n\tuv sync\n\ntest:\n\tpython -m pytest tests\n",
    "data/raw/.gitkeep": "",
    "data/processed/.gitkeep": "",
    "models/.gitkeep": "",
    "notebooks/.gitkeep": "",
    "pyproject.toml": '[project]\nname = "cities"\nversion = "0.0.1"\ndependencies = ["loguru", "typer"]\n\n'
    "[tool.ruff]\nline-length = 99\n",
    "cities/__init__.py": "from cities import config\n",
    "cities/config.py": "from pathlib import Path\n\nPROCESSED = Path('data/processed')\nMODELS = Path('models')\n",
    "cities/modeling/__init__.py": "",
    "cities/modeling/train.py": """
from pathlib import Path

import typer

from cities.config import MODELS, PROCESSED

app = typer.Typer()

@app.command()
def main(features: Path = PROCESSED / "features.csv", model: Path = MODELS / "model.pkl"):
    typer.echo(f"{features} {model}")
""",
    "cities/modeling/predict.py": """
from pathlib import Path

import typer

from cities.config import PROCESSED

app = typer.Typer()

@app.command()
def main(features: Path = PROCESSED / "test_features.csv"):
    typer.echo(features)
""",
    "tests/test_data.py": "def test_there_is_no_test_yet():\n    assert False\n",
}

SCRIPTS = {
    "README.md": "# Small language models\n\n    python data/plays/prepare.py\n    python train.py\n",
    "config/train_plays.py": "out_dir = 'out-plays'\nmax_iters = 100\n",
    "data/plays/prepare.py": """
import pickle
import numpy as np

text = open('input.txt').read()
letters = sorted(set(text))
numbers = {letter: number for number, letter in enumerate(letters)}
cut = int(len(text) * 0.9)
for name, part in (('train', text[:cut]), ('val', text[cut:])):
    np.array([numbers[letter] for letter in part], dtype=np.uint16).tofile(name + '.bin')
pickle.dump(numbers, open('meta.pkl', 'wb'))
""",
    "model.py": """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.table = nn.Embedding(vocab_size, vocab_size)
    def forward(self, idx):
        return self.table(idx)
""",
    "train.py": """
import os
import pickle
import numpy as np
import torch
from torch.nn import functional as F
from model import Small

out_dir, max_iters, resume, wandb_log = 'out', 100, False, False
exec(open('configurator.py').read())
torch.manual_seed(1337)

def get_batch(split):
    data = np.memmap(f'data/plays/{split}.bin', dtype=np.uint16, mode='r')
    ix = torch.randint(len(data) - 9, (4,))
    rows = torch.stack([torch.from_numpy(data[i:i + 9].astype(np.int64)) for i in ix])
    return rows[:, :-1], rows[:, 1:]

vocab = pickle.load(open('data/plays/meta.pkl', 'rb'))
model = Small(len(vocab))
optimizer = torch.optim.AdamW(model.parameters())
if resume:
    checkpoint = torch.load(os.path.join(out_dir, 'ckpt.pt'))
    model.load_state_dict(checkpoint['model'])
val_data = get_batch('val')
for step in range(max_iters):
    x, y = get_batch('train')
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    loss.backward()
    optimizer.step()
    torch.save({'model': model.state_dict(), 'optimizer': optimizer.state_dict()}, os.path.join(out_dir, 'ckpt.pt'))
""",
}
