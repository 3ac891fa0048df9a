"""What is shipped? Build, smoke, scan and push one image. Shell; `findings` is pure."""
