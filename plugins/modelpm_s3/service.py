"""Where buckets are: the URLs of objects, at AWS or at an endpoint of the user's, and what a URL says. Pure."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from modelpm.http import address
from modelpm_s3.grammar import Place

# Hosts of AWS: bucket.s3.region.amazonaws.com, s3.region.amazonaws.com/bucket, and older spellings of both.
_AWS = re.compile(
    r"(?:(?P<bucket>[a-z0-9][a-z0-9.-]*)\.)?s3(?:[.-](?:dualstack\.)?(?P<region>[a-z0-9-]+))?\.amazonaws\.com(?:\.cn)?"
)
_LABEL = re.compile(r"[a-z0-9][a-z0-9-]*")  # a bucket that a host can begin with, under one certificate
_DOTS = re.compile(r"(?<=/)(\.{1,2})(?=/|\Z)")


@dataclass(frozen=True, slots=True)
class Service:
    """One S3.

    Attributes:
        base: Address of a service that is not AWS, without a slash at its end; empty for AWS.
        in_host: Whether the bucket stands in the host, where it can.
    """

    base: str = ""
    in_host: bool = True

    def url(self, place: Place, region: str, query: str = "") -> str:
        """Return the URL of an object, or of the bucket where the key is empty."""
        china = ".cn" if region.startswith("cn-") else ""
        base = self.base or f"https://s3.{region}.amazonaws.com{china}"
        path = "/" + _DOTS.sub(lambda dots: "%2E" * len(dots[1]), quote(f"{place.bucket}/{place.key}", safe="/-_.~"))
        if self._stands_in_host(place.bucket):
            scheme, _, host = base.partition("://")
            base, path = f"{scheme}://{place.bucket}.{host}", path.removeprefix(f"/{place.bucket}")
        elif not place.key:
            path = path.rstrip("/")
        return base + path + (f"?{query}" if query else "")

    def place(self, url: str) -> tuple[Place, str] | None:
        """Return what a URL names, and the region that its host names; None if the URL is of no such service."""
        where, path = address(url), unquote(address(url).path)
        region = ""
        if self.base:
            own = address(self.base)
            prefix = own.path.rstrip("/")
            if where.scheme != own.scheme or not path.startswith(f"{prefix}/"):
                return None
            path = path.removeprefix(prefix)
            bucket = "" if where.server == own.server else where.server.removesuffix(f".{own.server}")
            if bucket == where.server:
                return None
        else:
            found = _AWS.fullmatch(where.server) if where.scheme == "https" else None
            if found is None:
                return None
            bucket, region = found["bucket"] or "", found["region"] or ""
        if not bucket:
            bucket, _, path = path.removeprefix("/").partition("/")
            return Place(bucket, path), region
        return Place(bucket, path.removeprefix("/")), region

    def _stands_in_host(self, bucket: str) -> bool:
        return self.in_host and _LABEL.fullmatch(bucket) is not None
