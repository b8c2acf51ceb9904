"""What all widgets share: the controls, the desk, the tables' checks, and the JavaScript of their views."""
