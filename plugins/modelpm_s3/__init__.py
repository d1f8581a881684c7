"""Objects of S3, and of everything that speaks its protocol: ``s3://BUCKET/KEY-OR-PREFIX[@VERSION]``."""

from collections.abc import Sequence

from modelpm.api import Context, Setting, Source, hookimpl

SETTINGS = (
    Setting("endpoint", "", "address of the service; AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL count before it"),
    Setting("region", "", "region of the buckets; AWS_REGION counts before it"),
    Setting("profile", "", "profile of ~/.aws; AWS_PROFILE counts before it"),
    Setting("anonymous", default=False, help="send no keys, for public buckets"),
    Setting(
        "addressing", "auto", "whether a bucket's name stands in the host or in the path", ("auto", "host", "path")
    ),
)


@hookimpl
def modelpm_settings(kind: str, name: str) -> Sequence[Setting] | None:
    """Declare ``[source.s3]``."""
    return SETTINGS if (kind, name) == ("source", "s3") else None


@hookimpl
def modelpm_source(name: str, context: Context) -> Source | None:
    """Serve ``s3://``."""
    from modelpm_s3.source import S3

    return S3(context) if name == "s3" else None
