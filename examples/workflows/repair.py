class Workflow:
    """A greedy draft, asked for as io_greedy asks, repaired at most twice by what its public tests show."""

    def __init__(self, name, llm_config, dataset):
        self.llm = create_llm_instance(llm_config)

    async def __call__(self, problem, entry_point):
        # Step 1: draft
        answer = (await self.llm.call_llm([problem], 0.0, 1, "Python programmer", "Write only the function."))[0]
        # Step 2: repair
        for attempt in range(2):
            found = exec_code(answer, entry_point)
            if found == "no error":
                break
            instructions = "Write the corrected function in one code block."
            asked = f"{problem}\n\nThis solution fails:\n\n{answer}\n\nWhat its tests showed:\n{found}"
            answer = (await self.llm.call_llm([asked], 0.0, 1, "Python programmer", instructions))[0]
        return answer, self.llm.get_usage_summary()["total_cost"]
