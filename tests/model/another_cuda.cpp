// Stands for a version of CUDA's library that no machine has.
extern "C" int version_of_another_cuda() { return 99000; }
