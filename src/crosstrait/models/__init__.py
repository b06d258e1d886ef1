"""One file a model: pure maths behind a small config class."""
