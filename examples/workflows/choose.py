class Workflow:
    """Three drafts, asked for as cot_sc asks, and the first that passes the public tests in place of a vote."""

    def __init__(self, name, llm_config, dataset):
        self.llm = create_llm_instance(llm_config)

    async def __call__(self, problem, entry_point):
        # Step 1: drafts
        drafts = await self.llm.call_llm(
            [problem], 0.7, 3, "Python programmer",
            "Think step by step, then write the function in one code block.")
        # Step 2: choose
        passing = (draft for draft in drafts if exec_code(draft, entry_point) == "no error")
        return next(passing, drafts[0]), self.llm.get_usage_summary()["total_cost"]
