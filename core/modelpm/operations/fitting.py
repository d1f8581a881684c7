"""Choose the best variant that fits this machine, for ``:auto``. Pure."""

from modelpm.errors import Code, UsageError
from modelpm.inspection.layouts.quantization import is_wide
from modelpm.results.details import Details, VariantDetails
from modelpm.text.human import binary_size
from modelpm.text.untrusted import printable


def best(details: Details) -> VariantDetails:
    """Return the largest variant that fits into memory, the GPUs' or the machine's, and on the disk.

    Of several formats that of the recommended variant counts, and 16 bits a number only if nothing is quantized.

    Raises:
        UsageError: None fits, or nothing is known of what they need.
    """
    recommended = next((v for v in details.variants if v.recommended), None)
    alike = [v for v in details.variants if recommended is None or v.format == recommended.format]
    quantized = [v for v in alike if not is_wide(v.quantization)]
    fitting = [v for v in quantized or alike if _fits(v)]
    if fitting:
        return max(fitting, key=lambda v: (v.bytes or 0, v.recommended))
    needs = [f"{v.name} needs {binary_size(v.memory_bytes)}" for v in details.variants if v.memory_bytes is not None]
    raise UsageError(
        f"no variant of {printable(details.model)} is known to fit this machine",
        code=Code.CHOOSE_VARIANT,
        hints=[*(["; ".join(needs)] if needs else []), f"choose one yourself: modelpm show {printable(details.model)}"],
    )


def _fits(variant: VariantDetails) -> bool:
    return bool(variant.fits.vram or variant.fits.ram) and variant.fits.disk is not False
