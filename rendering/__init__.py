"""Results for people and programs: tables, JSON, pages, sheets, pictures in a terminal."""
