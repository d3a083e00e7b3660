"""How far it goes: many clients, builds on Ray, and what very many pictures would take."""
