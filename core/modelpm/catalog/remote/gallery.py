"""A catalog that is a gallery of LocalAI: one file of YAML over https, converted each time that it changed."""

from contextlib import closing
from dataclasses import replace
from hashlib import sha256

from modelpm.api.types import Context
from modelpm.catalog.gallery.folder import ConvertedGallery
from modelpm.catalog.gallery.read import entries_in
from modelpm.catalog.remote.copied import CopiedCatalog
from modelpm.catalog.remote.server import Server, check_pin
from modelpm.catalog.remote.state import State
from modelpm.errors import Code, ModelpmError, UsageError


class GalleryCatalog(CopiedCatalog):
    """A catalog in the form of LocalAI's galleries."""

    def _newer(self, before: State, context: Context) -> State:
        if not self._has(before.digest):  # it was removed
            before = replace(before, digest="", tag="", modified="")
        elif self.place.sha256 == before.digest:
            return before
        with closing(Server(context)) as server:
            found = server.newer(self.place.at, before, ["check the address"])
        if found is None:
            return before
        data, after = found
        digest = sha256(data).hexdigest()
        check_pin(self.place, self.place.at, digest)
        if digest == before.digest:
            return after
        converted = ConvertedGallery.of(entries_in(data, self.place.at), self.place.name)
        if not converted.entries:
            raise self._not_a_catalog()
        draft = self._draft(digest)
        converted.write(draft)
        self._warn_of_left_out(converted)
        return self._complete(draft, digest, after)

    def _warn_of_left_out(self, converted: ConvertedGallery) -> None:
        left_out = converted.left_out
        if left_out:
            why = "; ".join(f"{len(names)}: {reason}" for reason, names in left_out.items())
            count = sum(map(len, left_out.values()))
            self.bus.warn(
                f"{count} of the {len(converted.rows)} models of the gallery `{self.place.name}` are left out ({why}); "
                f"`modelpm catalog import {self.place.at} DIR` names them"
            )

    def _not_a_catalog(self) -> ModelpmError:
        return UsageError(f"{self.place.at} names no model that can be installed", code=Code.NOT_A_CATALOG)
