"""Photographs with the places that spoke for a class, an arm beside the other."""

from __future__ import annotations

from normlab.errors import StorageError
from normlab.report.explanation import FILE, FOLDER, read_explanation
from normlab.report.sections.base import Nothing, ReportContext, Section, never, section_template
from normlab.report.sections.gallery.data import GalleryView, gallery_view, pictures
from normlab.text import shell_command


def build(context: ReportContext) -> GalleryView | None:
    """The pictures of explain/; None where nothing was explained."""
    if context.explanation is not None:
        return gallery_view(context.explanation, context.study.folder / FOLDER)
    if (context.study.folder / FOLDER / FILE).exists():
        return None  # it cannot be read, and `nothing` says so
    older = pictures(context.study.folder, FOLDER)
    return None if older is None else GalleryView((), "", "", (), (), older)


def nothing(context: ReportContext) -> Nothing:
    """Say how to get pictures, or why those that are there cannot be read."""
    try:
        read_explanation(context.study.folder)
    except StorageError as error:
        return Nothing(str(error), is_note=True)  # it ends with a command
    return Nothing(
        "Nothing was explained yet. To see which parts of the images decide:",
        shell_command("explain", context.study_folder),
    )


SECTION = Section(
    name="gallery",
    title="Pictures: where the networks look",
    entry="Pictures",
    id="explain",
    order=40,
    folded=never,
    template=section_template(__file__),
    build=build,
    nothing=nothing,
    in_regrouping=False,
)
