/// The C module `_weft`, by which runtime/weft.py reaches the outside.
#pragma once

namespace weft::zygote {

class Channel;

/// Makes `import _weft` work; before Python is initialised.
void register_workflow_module();

/// The channel that the module uses; in the child, before guest code. Borrowed.
void set_workflow_channel(Channel* channel);

}  // namespace weft::zygote
