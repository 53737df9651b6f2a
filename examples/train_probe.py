"""Train a linear probe on an exported training set, and test it on unseen titles.

    mediafm export genres.parquet --split train=0.8,test=0.2
    python examples/train_probe.py genres.parquet genre

Compare the printed accuracy with the share of the most frequent class.
"""

import argparse
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from mediafm_core import TrainingSet


def train_probe(place: Path, label: str, epochs: int = 20, workers: int = 0) -> float:
    """Train a probe and return its accuracy on the clips of held-out titles."""
    clips = TrainingSet.open(place)
    train, test = clips.split("train").torch(label), clips.split("test").torch(label)
    scale, classes = torch.nn.BatchNorm1d(train.width, affine=False), len(train.classes)
    probe = torch.nn.Sequential(scale, torch.nn.Linear(train.width, classes))
    optimiser = torch.optim.AdamW(probe.parameters(), lr=0.01)
    loader = DataLoader(train, batch_size=256, shuffle=True, num_workers=workers)
    for _ in range(epochs):
        for vectors, targets in loader:
            torch.nn.functional.cross_entropy(probe(vectors), targets).backward()
            optimiser.step()
            optimiser.zero_grad()
    vectors, targets = test[:]
    return (probe.eval()(vectors).argmax(dim=1) == targets).float().mean().item()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("place", type=Path, help="output of `mediafm export`, with splits")
    parser.add_argument("label", help="a label that is text")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=0, help="processes that prefetch batches")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    print(f"accuracy on held-out titles: {train_probe(**vars(arguments)):.3f}")
