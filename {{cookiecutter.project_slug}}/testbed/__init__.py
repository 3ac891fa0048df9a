"""Where does it run without AWS? A local AWS, and the fixtures of smoke tests."""
