"""Programs on several devices that are driven one by one: made programs of parts, and run in steps."""
