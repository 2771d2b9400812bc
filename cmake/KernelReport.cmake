# Script of model/ops/cuda: compiles SOURCE for ARCHITECTURES with NVCC and writes to OUTPUT what ptxas
# says of each kernel, after a line with nvcc's release. DEPFILE gets what OUTPUT depends on.
string(REPLACE "," ";" architectures ${ARCHITECTURES})
set(targets)
foreach(arch ${architectures})
  list(APPEND targets -gencode arch=compute_${arch},code=sm_${arch})
endforeach()
execute_process(
  COMMAND ${NVCC} -std=c++17 -O3 -I${ROOT} ${targets} -fatbin -Xptxas -v -MD -MF ${DEPFILE} -MT ${OUTPUT} -o
          ${OUTPUT}.fatbin ${SOURCE}
  ERROR_VARIABLE report
  RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${report}")
endif()
file(REMOVE ${OUTPUT}.fatbin)
execute_process(COMMAND ${NVCC} --version OUTPUT_VARIABLE version)
string(REGEX MATCH "release [0-9.]+" release "${version}")
file(WRITE ${OUTPUT} "nvcc ${release}\n${report}")
