class Workflow:
    def __init__(self, name, llm_config, dataset):
        self.llm = create_llm_instance(llm_config)

    async def __call__(self, problem, entry_point):
        # Step 1: draft
        drafts = await self.llm.call_llm([problem], 0.7)
        # Step 2: review
        question = problem + "\n\nA draft:\n" + drafts[0] + "\n\nGive the corrected function."
        replies = await self.llm.call_llm([question], 0.0)
        return replies[0], 0.0
