"""Objects in, one shared object a module out."""

from prebuild.link.linker import LinkedModule, link_module

__all__ = ["LinkedModule", "link_module"]
