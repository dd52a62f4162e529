"""Ordinary links cite: ``[Wang et al. (2020)](references.md#wang2020high)``.

They read the same in a notebook, in JupyterLab and on the page. `bibtex_cite_id` makes the key of
an entry its anchor, but MyST believes in anchors of headings only; here it learns of these, too. A
key that is not in the bibliography stays what it was: a warning, which fails the build.
"""


def know_entries(app, doctree):
    """Add the entries of this page's bibliography to the anchors that links may name."""
    page = app.env.docname
    anchors = app.env.metadata[page].setdefault("myst_slugs", {})
    for place, bibliography in app.env.get_domain("cite").bibliographies.items():
        if place.docname == page:
            for key, node in bibliography.citation_nodes.items():
                anchors[key] = (bibliography.line, node["ids"][0], key)


def setup(app):
    """Called by Sphinx."""
    app.setup_extension("sphinxcontrib.bibtex")
    app.connect("doctree-read", know_entries)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
