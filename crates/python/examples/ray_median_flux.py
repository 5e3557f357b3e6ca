"""The median flux of each class, by Ray over a lake.

    python ray_median_flux.py LAKE [--where "zwarn = 0"]
"""

import argparse

import numpy as np
import ray

import bifrost


def medians(batch):
    return {"spectype": batch["spectype"], "flux": np.median(batch["flux"], axis=1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lake")
    parser.add_argument("--database-url")
    parser.add_argument("--where", default="zwarn = 0")
    options = parser.parse_args()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    answer = bifrost.open(options.lake, options.database_url).resolve(options.where)
    dataset = answer.ray_dataset(["spectype", "flux"]).map_batches(medians)
    for row in dataset.groupby("spectype").aggregate(ray.data.aggregate.Mean("flux"), ray.data.aggregate.Count()).take_all():
        print(f"{row['spectype']:8} {row['count()']:6} spectra, mean of their median fluxes {row['mean(flux)']:.3f}")


if __name__ == "__main__":
    main()
