"""Write the pages that are made from the code: python -m tests.docs.regenerate."""

from tests.docs.pages import PAGES


def main() -> None:
    for path, make in PAGES.items():
        before = path.read_text("utf-8") if path.exists() else ""
        after = make(before)
        if after != before:
            path.write_text(after, "utf-8")
            print(f"written: {path}")  # noqa: T201 - for whoever runs it


if __name__ == "__main__":
    main()
