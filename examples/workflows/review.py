class Workflow:
    """A greedy draft, asked for as io_greedy asks, a review of it, and a function written after both; no test is run.

    The draft stays where the last reply has no code."""

    def __init__(self, name, llm_config, dataset):
        self.llm = create_llm_instance(llm_config)

    async def __call__(self, problem, entry_point):
        # Step 1: draft
        draft = (await self.llm.call_llm([problem], 0.0, 1, "Python programmer", "Write only the function."))[0]
        # Step 2: review
        shown = f"{problem}\n\nA solution:\n\n{draft}"
        instructions = "Say in a few sentences what is wrong with the solution, or that nothing is. Write no code."
        review = (await self.llm.call_llm([shown], 0.0, 1, "code reviewer", instructions))[0]
        # Step 3: rewrite
        asked = f"{shown}\n\nA review of it:\n\n{review}"
        instructions = "Write the corrected function in one code block."
        answer = (await self.llm.call_llm([asked], 0.0, 1, "Python programmer", instructions))[0]
        return answer if "```" in answer else draft, self.llm.get_usage_summary()["total_cost"]
