"""Values: frozen dataclasses and enums that every storey shares. They import nothing but each other."""
