"""The one exception that the command line turns into one line and exit status 2; and memory that runs out."""


class InputError(ValueError):
    """Something that the user gave is bad: a folder, a photo, a label, a model file, a setting.

    The message is one line that says what is wrong, why, and what to do.
    """


# The words of CUDA and cuBLAS. (NumPy, Python and CuPy's memory pool raise a MemoryError.)
CUDA_OUT_OF_MEMORY = ("cudaErrorMemoryAllocation", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error):
    """Whether an exception says that memory ran out, on the processor's side or the GPU's."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in CUDA_OUT_OF_MEMORY)
