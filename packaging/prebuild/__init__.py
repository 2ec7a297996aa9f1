"""Build side of aiter-prebuilt: recipe -> plan -> generate -> compile -> link -> inspect -> wheel."""
