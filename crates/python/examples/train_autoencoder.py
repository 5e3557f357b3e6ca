"""A small autoencoder of spectra: torch reads the lake as it trains.

    python train_autoencoder.py LAKE [--where "zwarn = 0"] [--epochs 5]
"""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader

import bifrost
from bifrost.shm import Cache

BINS = 256


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lake")
    parser.add_argument("--database-url")
    parser.add_argument("--where", default="zwarn = 0")
    parser.add_argument("--epochs", type=int, default=5)
    return parser.parse_args()


def binned(batch):
    """Flux in wide bins, weighted by ivar, over the median of its absolute values; and which bins are known."""
    pixels = batch["flux"].shape[1] // BINS * BINS
    flux, ivar = (batch[name][:, :pixels].reshape(-1, BINS, pixels // BINS) for name in ("flux", "ivar"))
    weight = ivar.sum(-1)
    mean = (flux * ivar).sum(-1) / weight.clamp(min=1e-12)
    scale = mean.abs().median(dim=1, keepdim=True).values.clamp(min=1e-2)
    return (mean / scale).clamp(-20, 20), weight > 0


def main():
    options = arguments()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(BINS, 128), nn.GELU(), nn.Linear(128, 8), nn.Linear(8, 128), nn.GELU(), nn.Linear(128, BINS))
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    answer = bifrost.open(options.lake, options.database_url).resolve(options.where)
    with Cache() as cache:
        rows = answer.torch_dataset(["flux", "ivar"], batch_size=16, shuffle=True, seed=0, cache=cache)
        for epoch in range(options.epochs):
            rows.set_epoch(epoch)
            losses = []
            for batch in DataLoader(rows, batch_size=None, num_workers=2):
                flux, is_known = binned(batch)
                loss = ((model(flux) - flux)[is_known] ** 2).mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                losses.append(loss.item())
            print(f"epoch {epoch}: mean squared error {sum(losses) / len(losses):.4f}", flush=True)


if __name__ == "__main__":
    main()
