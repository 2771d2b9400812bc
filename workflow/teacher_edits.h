/// The refiner's half of the scripted teacher.
#pragma once

#include "base/rng.h"
#include "workflow/scripted_teacher.h"

namespace weft {

/// ScriptedTeacher::refine. A parent that offers nothing to edit comes back as it is, its kind
/// followed by "+unchanged".
Draft edited(const Task& task, const Draft& parent, Rng& rng);

}  // namespace weft
