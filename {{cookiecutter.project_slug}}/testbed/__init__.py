"""Where does it run without AWS? A local AWS, and what smoke tests need. Nothing with credentials imports it."""
