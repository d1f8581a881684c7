"""The names that a pickle may import and still only rebuild tensors, arrays and plain data.

The torch part is the list of torch's own ``weights_only`` loader. numpy is added, because checkpoints often hold a
``numpy.float64``. Names match exactly: a dotted attribute, such as ``OrderedDict.__init__``, is another name. What
they may be called with says ``pickle_calls``.
"""

from typing import Final


def _names(prefix: str, names: str, suffix: str = "") -> set[str]:
    return {f"{prefix}.{name}{suffix}" for name in names.split()}


_STORAGES: Final = (
    "Float Half BFloat16 Double Long Int Short Char Byte Bool ComplexFloat ComplexDouble ComplexHalf "
    "Quint8 QInt8 QUInt8 QInt32 QUInt4x2 QUInt2x4 Untyped Typed"
)
_TORCH: Final = (
    _names("torch", _STORAGES, "Storage")
    | _names("torch.cuda", _STORAGES, "Storage")
    | _names("torch.storage", "UntypedStorage TypedStorage")
    | _names("torch", "float float16 float32 float64 bfloat16 half double int int8 int16 int32 int64 bool long short")
    | _names("torch", "uint8 uint16 uint32 uint64 complex64 complex128 float8_e4m3fn float8_e5m2 float8_e4m3fnuz")
    | _names("torch", "float8_e5m2fnuz quint8 qint8 qint32 strided Size Tensor device")
    | _names("torch", "per_tensor_affine per_channel_affine")
    | _names("torch._utils", "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter")
    | _names("torch._utils", "_rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_tensor")
    | _names("torch._utils", "_rebuild_meta_tensor_no_storage _rebuild_device_tensor_from_numpy")
    | _names("torch._utils", "_rebuild_device_tensor_from_cpu_tensor")
    | {"torch.nn.parameter.Parameter", "torch.serialization._get_layout", "torch._tensor._rebuild_from_type_v2"}
)
_SIZES: Final = "Float16 Float32 Float64 Int8 Int16 Int32 Int64 UInt8 UInt16 UInt32 UInt64"
_NUMPY: Final = (
    _names("numpy.core.multiarray", "_reconstruct scalar")
    | _names("numpy._core.multiarray", "_reconstruct scalar")
    | {"numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer"}
    | _names("numpy", f"ndarray dtype bool_ {_SIZES.lower()}")
    | _names("numpy.dtypes", f"{_SIZES} Bool Str Bytes", "DType")
)
_BUILTINS: Final = "set frozenset complex bytearray slice range list dict tuple int float str bytes bool object xrange"
_PATHS: Final = "PosixPath WindowsPath PurePosixPath PureWindowsPath"
_PLAIN: Final = (
    _names("builtins", _BUILTINS)
    | _names("__builtin__", _BUILTINS)
    | _names("collections", "OrderedDict Counter defaultdict deque")
    | _names("datetime", "datetime date time timedelta timezone")
    | _names("pathlib", _PATHS)
    | _names("pathlib._local", _PATHS)
    | {"_codecs.encode", "decimal.Decimal", "fractions.Fraction", "uuid.UUID"}
)
NAMESPACES: Final = frozenset({"argparse.Namespace", "types.SimpleNamespace"})
RECONSTRUCTORS: Final = frozenset({"copyreg._reconstructor", "copy_reg._reconstructor"})
"""How protocols 0 and 1 make an object: by whatever class they name, so that a namespace only may be made so."""
WRAPPER: Final = "joblib.numpy_pickle.NumpyArrayWrapper"
"""Its bytes lie raw between two opcodes; the machine reads their length from its state."""

ALLOWED: Final = frozenset(_TORCH | _NUMPY | _PLAIN | NAMESPACES | RECONSTRUCTORS | {WRAPPER})
