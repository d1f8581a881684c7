"""No setting, option or variable without a test of what it does outside of the process."""

# Imported for what they note; see tests/support/arriving.py.
import tests.core.test_credentials
import tests.core.test_options_network
import tests.core.test_options_places
import tests.core.test_options_telling
import tests.core.test_plugin_days
import tests.core.test_queue_runs
import tests.core.test_serve_api
import tests.core.test_signatures
import tests.core.test_update_check
import tests.plugins.test_apps
import tests.plugins.test_credentials_plugins
import tests.plugins.test_modelscope
import tests.plugins.test_s3_account  # noqa: F401
from tests.support.arriving import TESTED, promised

# Help is what it prints.
NO_EFFECT = {"--help"}


def test_everything_that_can_be_set_has_a_test_of_what_it_does() -> None:
    assert promised() - TESTED - NO_EFFECT == set()


def test_what_has_a_test_can_still_be_set() -> None:
    """Names that are made of others, or belong to other programs, are not in the tables."""
    others = {"http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}
    lists = {"HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"}
    lists |= {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}
    assert TESTED - promised() - others - lists == set()
