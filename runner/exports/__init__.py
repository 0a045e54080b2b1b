"""A campaign as a project that runs elsewhere; today that is TD Workflow."""
