/// Whether a workflow is written for one query alone.
#pragma once

#include "data/task.h"
#include "workflow/workflow.h"

namespace weft {

/// True when the code holds the task's entry point as a word, or a string of four or more bytes
/// that stands in the prompt. "total_cost" and "no error", the contract's own strings, do not
/// count, nor does anything of code that does not parse. Such a workflow is no worse for its own
/// query, and never refused for it; given to another query it may ask for the wrong thing.
bool names_query(const Task& task, const Workflow& workflow);

}  // namespace weft
