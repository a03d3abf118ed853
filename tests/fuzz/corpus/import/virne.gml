graph [
  id 3
  arrival_time 27
  lifetime 912.108
  node [ id 0 label "0" cpu 20 pos 0.25 pos 0.5 ]
  node [ id 1 label "1" cpu 10 ram 64 ]
  edge [ source 0 target 1 bw 33 ]
]
