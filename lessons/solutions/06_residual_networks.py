# ruff: noqa: F821  (the notebook defines the other names)
"""Solutions of lesson 6. Each cell stands in place of the exercise cell of the same number."""

# %% 06.1
# Exercise 06.1


def to_ours(array):
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    return array.T if array.ndim == 2 else array


# %% 06.2
# Exercise 06.2


def norm(x, file, name):
    normalised = (x - file[f"{name}.running_mean"]) / np.sqrt(file[f"{name}.running_var"] + 1e-5)
    return normalised * file[f"{name}.weight"] + file[f"{name}.bias"]


# %% 06.3
# Exercise 06.3


def block(x, file, name, stride):
    h = relu(norm(conv(x, file[f"{name}.conv1.weight"], stride), file, f"{name}.bn1"))
    h = norm(conv(h, file[f"{name}.conv2.weight"]), file, f"{name}.bn2")
    if f"{name}.downsample.0.weight" in file:
        x = norm(conv(x, file[f"{name}.downsample.0.weight"], stride), file, f"{name}.downsample.1")
    return relu(x + h)


# %% 06.4
# Exercise 06.4


def network(images, file):
    x = pool(relu(norm(conv(images, file["conv1.weight"], 2), file, "bn1")))
    for stage in (1, 2, 3, 4):
        x = block(x, file, f"layer{stage}.0", 1 if stage == 1 else 2)
        x = block(x, file, f"layer{stage}.1", 1)
    return x.mean(axis=(1, 2)) @ file["fc.weight"] + file["fc.bias"]


# %% 06.5
# Challenge 06.5


def named_arrays(part):
    if isinstance(part, np.ndarray):
        return {"": part}
    found = {}
    for name, inside in part.items() if isinstance(part, dict) else enumerate(part):
        for rest, array in named_arrays(inside).items():
            found[f"{name}.{rest}".rstrip(".")] = array
    return found
