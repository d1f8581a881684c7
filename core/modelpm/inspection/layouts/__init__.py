"""What a listing's names say: components with roles, variants, the recommended one, and what a program opens.

Pure: file names and sizes go in, frozen values come out. No byte of a file is read.
"""

from modelpm.inspection.layouts.choose import Chosen, Incomplete, NoWeights, Question, Unknown, choose
from modelpm.inspection.layouts.components import Component, components
from modelpm.inspection.layouts.layout import Layout, Variant
from modelpm.inspection.layouts.literal import Completed, completed
from modelpm.inspection.layouts.roles import Role, role_of
from modelpm.inspection.layouts.rules import layout_of
from modelpm.inspection.layouts.told import silent, told

__all__ = [
    "Chosen",
    "Completed",
    "Component",
    "Incomplete",
    "Layout",
    "NoWeights",
    "Question",
    "Role",
    "Unknown",
    "Variant",
    "choose",
    "completed",
    "components",
    "layout_of",
    "role_of",
    "silent",
    "told",
]
