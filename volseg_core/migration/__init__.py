"""Moving over from other tools: one module or package per tool, which reads its settings and its weights."""
