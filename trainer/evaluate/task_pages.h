/// One page for each task: what every method wrote, asked, was told and answered.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/task.h"
#include "trainer/evaluate/methods.h"
#include "trainer/evaluate/results.h"
#include "trainer/evaluate/traces.h"

namespace weft {

/// Name of the page of the task at this place of the list: letters, digits, '-' and '_' of its id,
/// after a number that is its alone.
std::string task_page_name(size_t place, const std::string& id);

/// Text that HTML shows as it is, in an element or a quoted attribute. Invalid UTF-8 becomes
/// U+FFFD.
std::string html_text(std::string_view text);

/// One self-contained page without scripts: the prompt, a table of the runs, and of each run its
/// workflow, answer, error and calls. `runs` are those of the task.
std::string task_page(const Task& task, const std::vector<const ResultRow*>& runs,
                      const TraceReader& traces);

/// Writes the pages of all tasks into a folder, in place of what an earlier report left there.
/// Throws Error when they cannot be written; the older pages are then still there.
void write_task_pages(const std::filesystem::path& dir, const std::vector<Task>& tasks,
                      const std::vector<ResultRow>& rows, const TraceReader& traces);

}  // namespace weft
