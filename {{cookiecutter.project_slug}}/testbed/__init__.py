"""Where does it run without AWS? A local AWS, and what smoke tests need; no command with credentials imports it."""
