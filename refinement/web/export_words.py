"""What the choices of an export are called on its page."""

from __future__ import annotations

from django.utils.translation import gettext_lazy

SHAPES = {
    "as_imported": gettext_lazy("As it was imported"),
    "alpaca": gettext_lazy("Alpaca – instruction, input, output"),
    "sharegpt": gettext_lazy("ShareGPT – conversations of from and value"),
    "messages": gettext_lazy("Messages – of role and content, as OpenAI and TRL read them"),
    "prompt_completion": gettext_lazy(
        "Prompt and completion – two texts: TRL trains on the completion alone"
    ),
    "prompt_completion_chat": gettext_lazy(
        "Prompt and completion, as messages – TRL puts them into the model's chat template"
    ),
    "dpo_chat": gettext_lazy(
        "Preference pairs, as messages – TRL's DPO, in the model's chat template"
    ),
    "dpo_text": gettext_lazy("Preference pairs, as text – TRL's DPO, as plain texts"),
    "dpo_alpaca": gettext_lazy(
        "Preference pairs, Alpaca – LLaMA-Factory's DPO: instruction, input, chosen, rejected"
    ),
    "dpo_sharegpt": gettext_lazy(
        "Preference pairs, ShareGPT – LLaMA-Factory's DPO: conversations, chosen, rejected"
    ),
}
CONTAINERS = {
    "jsonl": gettext_lazy("JSON Lines"),
    "json": gettext_lazy("JSON array"),
    "parquet": gettext_lazy("Parquet"),
    "csv": gettext_lazy("CSV for spreadsheets: no cell is a formula"),
    "csv_exact": gettext_lazy("CSV for programs: every cell as it is"),
}
COLUMNS = {
    "scores": gettext_lazy("Scores: IFD and r-IFD, before and after"),
    "verdict": gettext_lazy("Verdict: whether it is kept, and the student's verdict in words"),
    "decision": gettext_lazy("Decision: what a person said, and who"),
    "lineage": gettext_lazy(
        "Lineage: run, number, line of the file, content hash, and where the text comes from"
    ),
}
SIGNALS = {"ifd": gettext_lazy("highest IFD"), "r_ifd": gettext_lazy("lowest r-IFD")}
