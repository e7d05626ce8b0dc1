"""The pictures that `normlab explain` left in the study."""

from __future__ import annotations

from normlab.report.sections.base import Nothing, ReportContext, Section, section_template
from normlab.report.sections.gallery.data import PictureGallery, pictures


def build(context: ReportContext) -> PictureGallery | None:
    """Collect the pictures of explain/; None where nothing was explained."""
    return pictures(context.study.folder, "explain")


def nothing(context: ReportContext) -> Nothing:
    """Say how to get pictures."""
    return Nothing(
        "Nothing was explained yet. To see which parts of the images decide:",
        f"normlab explain {context.study_folder}",
    )


SECTION = Section(
    name="gallery",
    title="What it looks at",
    id="explain",
    order=100,
    template=section_template(__file__),
    build=build,
    nothing=nothing,
    in_regrouping=False,
)
