# Imported targets for the LibTorch inside a PyTorch 2.11 wheel, written by hand: the wheel's own
# find_package(Torch) demands a CUDA toolkit even for a program that uses none.
# weft::torch is libtorch_cpu + libc10, for every tensor in the project; weft::torch_cuda is for
# libweft_cuda.so alone, which exists (WEFT_CUDA) where nvcc is.
if(NOT WEFT_TORCH_DIR)
  file(GLOB candidates ${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch)
  list(LENGTH candidates count)
  if(count EQUAL 0)
    message(FATAL_ERROR "No LibTorch: run scripts/bootstrap.sh, or give -DWEFT_TORCH_DIR=.../torch")
  endif()
  list(GET candidates 0 WEFT_TORCH_DIR)
endif()
if(NOT EXISTS ${WEFT_TORCH_DIR}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "WEFT_TORCH_DIR=${WEFT_TORCH_DIR} has no lib/libtorch_cpu.so")
endif()
file(READ ${WEFT_TORCH_DIR}/version.py version)
if(NOT version MATCHES "__version__ = '2\\.11\\.")
  message(FATAL_ERROR "LibTorch 2.11 is needed, ${WEFT_TORCH_DIR} holds another version")
endif()
message(STATUS "LibTorch: ${WEFT_TORCH_DIR}")

set(nvidia_lib ${WEFT_TORCH_DIR}/../nvidia/cu13/lib)

function(weft_import_torch name)
  add_library(${name} SHARED IMPORTED GLOBAL)
  set_target_properties(${name} PROPERTIES IMPORTED_LOCATION ${WEFT_TORCH_DIR}/lib/lib${name}.so)
endfunction()

weft_import_torch(c10)
weft_import_torch(torch_cpu)

add_library(weft_torch INTERFACE)
add_library(weft::torch ALIAS weft_torch)
target_include_directories(
  weft_torch SYSTEM INTERFACE ${WEFT_TORCH_DIR}/include
                              ${WEFT_TORCH_DIR}/include/torch/csrc/api/include)
# LibTorch's include folder brings its own fmt, which shadows the distribution's: header-only, it needs
# no library of that version.
target_compile_definitions(weft_torch INTERFACE USE_DISTRIBUTED USE_C10D_GLOO FMT_HEADER_ONLY)
target_link_libraries(weft_torch INTERFACE torch_cpu c10)
target_link_options(weft_torch INTERFACE LINKER:-rpath-link,${nvidia_lib})

include(CheckLanguage)
check_language(CUDA)
set(WEFT_CUDA OFF)
if(NOT CMAKE_CUDA_COMPILER)
  message(STATUS "CUDA: no nvcc, this is a CPU build")
  return()
endif()
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90)
endif()
enable_language(CUDA)
set(CMAKE_CUDA_FLAGS_DEV "-O2")
set(WEFT_CUDA ON)
weft_import_torch(c10_cuda)
weft_import_torch(torch_cuda)
add_library(weft_torch_cuda INTERFACE)
add_library(weft::torch_cuda ALIAS weft_torch_cuda)
# Without a GPU the wheel's own CUDA libraries are not installed: what torch_cuda itself needs is
# looked up when libweft_cuda.so is opened. The library must load torch_cuda even where it calls
# nothing of it, since that is what registers ATen's CUDA operators.
target_link_libraries(weft_torch_cuda INTERFACE weft::torch -Wl,--no-as-needed torch_cuda c10_cuda
                                                -Wl,--as-needed)
message(STATUS "CUDA: ${CMAKE_CUDA_COMPILER}, libweft_cuda.so is built too")
