class Workflow:
    def __init__(self, name, llm_config, dataset):
        self.llm = create_llm_instance(llm_config)

    async def __call__(self, problem):
        # Step 1: find the note
        note = search(problem)[0]
        # Step 2: multiply its numbers
        numbers = [word.strip(":") for word in note.split() if word[0].isdigit()]
        answer = calculate(" * ".join(numbers))
        return str(answer), self.llm.get_usage_summary()["total_cost"]
