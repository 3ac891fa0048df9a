"""How is it said? Text, Mermaid and the terminal; `console` is the only module here that prints."""
