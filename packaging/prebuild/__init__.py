"""Build side: recipe -> plan -> generate -> compile -> link -> inspect -> verify -> wheel."""
