"""Floodmark's dashboard: `make dashboard`, `floodmark dashboard FILE`, or `streamlit run app.py -- FILE`."""


def main() -> None:
    """Draw the page. Imports stay inside: child processes read this file too, and must not draw."""
    from dashboard.page import page

    page()


if __name__ == "__main__":
    main()
