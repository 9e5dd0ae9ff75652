"""The gallery of an atlas: a page that shows every texture, without a server or a network."""

from captum_featinv.studies.gallery.writing import write_gallery

__all__ = ["write_gallery"]
