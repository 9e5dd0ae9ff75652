"""How a forward is watched, stopped half-way, and seen through."""
