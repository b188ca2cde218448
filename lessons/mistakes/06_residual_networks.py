# ruff: noqa: F811, F821  (the notebook defines the other names)
"""Typical wrong answers of lesson 6. A heading holds the exercise, and what check() must say about the cell."""


# %% 06.1: all axes are reversed, as .T does


def to_ours(array):
    return array.T


# %% 06.1: arrays of two axes are turned, too


def to_ours(array):
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


# %% 06.1: the axes are row, column, output, input


def to_ours(array):
    return array.transpose(2, 3, 0, 1) if array.ndim == 4 else array.T


# %% 06.1: the axes are output, row, column, input


def to_ours(array):
    return np.moveaxis(array, 1, -1) if array.ndim == 4 else array.T


# %% 06.1: one order of four axes is used for every array


def to_ours(array):
    return array.transpose(2, 3, 1, 0)


# %% 06.1: reshape cuts the numbers anew


def to_ours(array):
    if array.ndim == 4:
        o, i, h, w = array.shape
        return array.reshape(h, w, i, o)
    return array.T


# %% 06.1: reshape cuts the numbers anew


def to_ours(array):
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    return array.reshape(array.shape[::-1])


# %% 06.1: a window of one pixel has four axes like the others
def to_ours(array):
    if array.ndim == 4 and array.shape[2] > 1:
        return array.transpose(2, 3, 1, 0)
    return array.T if array.ndim == 2 else array


# %% 06.2: these are the statistics of this batch, as in training


def norm(x, file, name):
    axes = (0, 1, 2)
    normalised = (x - x.mean(axis=axes)) / np.sqrt(x.var(axis=axes) + 1e-5)
    return normalised * file[name + ".weight"] + file[name + ".bias"]


# %% 06.2: it belongs under it


def norm(x, file, name):
    normalised = (x - file[name + ".running_mean"]) / (np.sqrt(file[name + ".running_var"]) + 1e-5)
    return normalised * file[name + ".weight"] + file[name + ".bias"]


# %% 06.2: the root is missing


def norm(x, file, name):
    normalised = (x - file[name + ".running_mean"]) / (file[name + ".running_var"] + 1e-5)
    return normalised * file[name + ".weight"] + file[name + ".bias"]


# %% 06.2: a variance of 0 would divide by 0


def norm(x, file, name):
    normalised = (x - file[name + ".running_mean"]) / np.sqrt(file[name + ".running_var"])
    return normalised * file[name + ".weight"] + file[name + ".bias"]


# %% 06.2: beta is never added


def norm(x, file, name):
    return (
        (x - file[name + ".running_mean"]) / np.sqrt(file[name + ".running_var"] + 1e-5) * file[name + ".weight"]
    )


# %% 06.2: only the first half of the formula is there


def norm(x, file, name):
    return (x - file[name + ".running_mean"]) / np.sqrt(file[name + ".running_var"] + 1e-5)


# %% 06.2: the name is put together in another way than in the file


def norm(x, file, name):
    return (x - file[name + "running_mean"]) / np.sqrt(file[name + "running_var"] + 1e-5)


# %% 06.2: the function works in place


def norm(x, file, name):
    x -= file[name + ".running_mean"]
    x /= np.sqrt(file[name + ".running_var"] + 1e-5)
    return x * file[name + ".weight"] + file[name + ".bias"]


# %% 06.2: mu plays no part


def norm(x, file, name):
    return x / np.sqrt(file[name + ".running_var"] + 1e-5) * file[name + ".weight"] + file[name + ".bias"]


# %% 06.3: it belongs round the whole sum


def block(x, file, name, stride):
    h = relu(norm(conv(x, file[f"{name}.conv1.weight"], stride), file, f"{name}.bn1"))
    h = relu(norm(conv(h, file[f"{name}.conv2.weight"]), file, f"{name}.bn2"))
    if f"{name}.downsample.0.weight" in file:
        x = norm(conv(x, file[f"{name}.downsample.0.weight"], stride), file, f"{name}.downsample.1")
    return x + h


# %% 06.3: there is no ReLU at the end


def block(x, file, name, stride):
    h = relu(norm(conv(x, file[f"{name}.conv1.weight"], stride), file, f"{name}.bn1"))
    h = norm(conv(h, file[f"{name}.conv2.weight"]), file, f"{name}.bn2")
    if f"{name}.downsample.0.weight" in file:
        x = norm(conv(x, file[f"{name}.downsample.0.weight"], stride), file, f"{name}.downsample.1")
    return x + h


# %% 06.3: nothing of x is added


def block(x, file, name, stride):
    h = relu(norm(conv(x, file[f"{name}.conv1.weight"], stride), file, f"{name}.bn1"))
    return relu(norm(conv(h, file[f"{name}.conv2.weight"]), file, f"{name}.bn2"))


# %% 06.3: the one after bn1 is missing


def block(x, file, name, stride):
    h = norm(conv(x, file[f"{name}.conv1.weight"], stride), file, f"{name}.bn1")
    h = norm(conv(h, file[f"{name}.conv2.weight"]), file, f"{name}.bn2")
    if f"{name}.downsample.0.weight" in file:
        x = norm(conv(x, file[f"{name}.downsample.0.weight"], stride), file, f"{name}.downsample.1")
    return relu(x + h)


# %% 06.3: the stride is at the second convolution


def block(x, file, name, stride):
    h = relu(norm(conv(x, file[f"{name}.conv1.weight"]), file, f"{name}.bn1"))
    h = norm(conv(h, file[f"{name}.conv2.weight"], stride), file, f"{name}.bn2")
    if f"{name}.downsample.0.weight" in file:
        x = norm(conv(x, file[f"{name}.downsample.0.weight"], stride), file, f"{name}.downsample.1")
    return relu(x + h)


# %% 06.3: the two sides of the sum have different shapes


def block(x, file, name, stride):
    h = relu(norm(conv(x, file[f"{name}.conv1.weight"], stride), file, f"{name}.bn1"))
    h = norm(conv(h, file[f"{name}.conv2.weight"]), file, f"{name}.bn2")
    return relu(x + h)


# %% 06.3: downsample is looked up in every block


def block(x, file, name, stride):
    h = relu(norm(conv(x, file[f"{name}.conv1.weight"], stride), file, f"{name}.bn1"))
    h = norm(conv(h, file[f"{name}.conv2.weight"]), file, f"{name}.bn2")
    x = norm(conv(x, file[f"{name}.downsample.0.weight"], stride), file, f"{name}.downsample.1")
    return relu(x + h)


# %% 06.3: the two sides of the sum have different shapes


def block(x, file, name, stride):
    h = relu(norm(conv(x, file[f"{name}.conv1.weight"], stride), file, f"{name}.bn1"))
    h = norm(conv(h, file[f"{name}.conv2.weight"]), file, f"{name}.bn2")
    if stride != 1:
        x = norm(conv(x, file[f"{name}.downsample.0.weight"], stride), file, f"{name}.downsample.1")
    return relu(x + h)


# %% 06.3: the shortcut's convolution has a batch norm, too


def block(x, file, name, stride):
    h = relu(norm(conv(x, file[f"{name}.conv1.weight"], stride), file, f"{name}.bn1"))
    h = norm(conv(h, file[f"{name}.conv2.weight"]), file, f"{name}.bn2")
    if f"{name}.downsample.0.weight" in file:
        x = conv(x, file[f"{name}.downsample.0.weight"], stride)
    return relu(x + h)


# %% 06.3: which array goes into which convolution?


def block(x, file, name, stride):
    h = relu(norm(conv(x, file[f"{name}.conv1.weight"], stride), file, f"{name}.bn1"))
    h = norm(conv(h, file[f"{name}.conv2.weight"]), file, f"{name}.bn2")
    if f"{name}.downsample.0.weight" in file:
        x = norm(conv(h, file[f"{name}.downsample.0.weight"], stride), file, f"{name}.downsample.1")
    return relu(x + h)


# %% 06.4: there is no pool


def network(images, file):
    x = relu(norm(conv(images, file["conv1.weight"], 2), file, "bn1"))
    for stage in (1, 2, 3, 4):
        x = block(x, file, f"layer{stage}.0", 1 if stage == 1 else 2)
        x = block(x, file, f"layer{stage}.1", 1)
    return x.mean(axis=(1, 2)) @ file["fc.weight"] + file["fc.bias"]


# %% 06.4: the blocks .1 are missing


def network(images, file):
    x = pool(relu(norm(conv(images, file["conv1.weight"], 2), file, "bn1")))
    for stage in (1, 2, 3, 4):
        x = block(x, file, f"layer{stage}.0", 1 if stage == 1 else 2)
    return x.mean(axis=(1, 2)) @ file["fc.weight"] + file["fc.bias"]


# %% 06.4: a block has a stride that should have none


def network(images, file):
    x = pool(relu(norm(conv(images, file["conv1.weight"], 2), file, "bn1")))
    for stage in (1, 2, 3, 4):
        x = block(x, file, f"layer{stage}.0", 2)
        x = block(x, file, f"layer{stage}.1", 1)
    return x.mean(axis=(1, 2)) @ file["fc.weight"] + file["fc.bias"]


# %% 06.4: the stages 2, 3 and 4 have 2


def network(images, file):
    x = pool(relu(norm(conv(images, file["conv1.weight"], 2), file, "bn1")))
    for stage in (1, 2, 3, 4):
        x = block(block(x, file, f"layer{stage}.0", 1), file, f"layer{stage}.1", 1)
    return x.mean(axis=(1, 2)) @ file["fc.weight"] + file["fc.bias"]


# %% 06.4: fc.bias is never added


def network(images, file):
    x = pool(relu(norm(conv(images, file["conv1.weight"], 2), file, "bn1")))
    for stage in (1, 2, 3, 4):
        x = block(x, file, f"layer{stage}.0", 1 if stage == 1 else 2)
        x = block(x, file, f"layer{stage}.1", 1)
    return x.mean(axis=(1, 2)) @ file["fc.weight"]


# %% 06.4: what goes into fc has another shape


def network(images, file):
    x = pool(relu(norm(conv(images, file["conv1.weight"], 2), file, "bn1")))
    for stage in (1, 2, 3, 4):
        x = block(x, file, f"layer{stage}.0", 1 if stage == 1 else 2)
        x = block(x, file, f"layer{stage}.1", 1)
    return x.reshape(len(x), -1) @ file["fc.weight"] + file["fc.bias"]


# %% 06.4: conv1's stride is 2


def network(images, file):
    x = pool(relu(norm(conv(images, file["conv1.weight"]), file, "bn1")))
    for stage in (1, 2, 3, 4):
        x = block(x, file, f"layer{stage}.0", 1 if stage == 1 else 2)
        x = block(x, file, f"layer{stage}.1", 1)
    return x.mean(axis=(1, 2)) @ file["fc.weight"] + file["fc.bias"]


# %% 06.4: the stem has no ReLU


def network(images, file):
    x = pool(norm(conv(images, file["conv1.weight"], 2), file, "bn1"))
    for stage in (1, 2, 3, 4):
        x = block(x, file, f"layer{stage}.0", 1 if stage == 1 else 2)
        x = block(x, file, f"layer{stage}.1", 1)
    return x.mean(axis=(1, 2)) @ file["fc.weight"] + file["fc.bias"]


# %% 06.4: With float64: the result
def network(images, file):
    x = relu(norm(pool(conv(images, file["conv1.weight"], 2)), file, "bn1"))
    for stage in range(1, 5):
        x = block(x, file, f"layer{stage}.0", 1 if stage == 1 else 2)
        x = block(x, file, f"layer{stage}.1", 1)
    return x.mean((1, 2)) @ file["fc.weight"] + file["fc.bias"]


# %% 06.5: lists are passed over


def named_arrays(part, prefix=""):
    found = {}
    for name, inside in part.items():
        if isinstance(inside, dict):
            found.update(named_arrays(inside, prefix + name + "."))
        elif isinstance(inside, np.ndarray):
            found[prefix + name] = inside
    return found


# %% 06.5: only the outermost arrays are found


def named_arrays(part):
    return {name: inside for name, inside in part.items() if isinstance(inside, np.ndarray)}


# %% 06.5: every name begins with a dot


def named_arrays(part, prefix=""):
    if isinstance(part, np.ndarray):
        return {prefix: part}
    found = {}
    for name, inside in part.items() if isinstance(part, dict) else enumerate(part):
        found.update(named_arrays(inside, f"{prefix}.{name}"))
    return found


# %% 06.5: only the last part of each path is kept


def named_arrays(part):
    found = {}
    for name, inside in part.items() if isinstance(part, dict) else enumerate(part):
        found.update({name: inside} if isinstance(inside, np.ndarray) else named_arrays(inside))
    return found


# %% 06.5: lists are counted from 1


def named_arrays(part, prefix=""):
    if isinstance(part, np.ndarray):
        return {prefix.rstrip("."): part}
    found = {}
    for name, inside in part.items() if isinstance(part, dict) else enumerate(part, 1):
        found.update(named_arrays(inside, f"{prefix}{name}."))
    return found


# %% 06.5: a list is asked for its items; it has none


def named_arrays(part, prefix=""):
    found = {}
    for name, inside in part.items():
        found.update(
            {prefix + name: inside}
            if isinstance(inside, np.ndarray)
            else named_arrays(inside, prefix + name + ".")
        )
    return found
