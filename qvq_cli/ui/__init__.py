"""What people see: rich terminal, plain text, JSON. The only place that asks isatty."""
