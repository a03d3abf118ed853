graph [
  Network "Sm&#229;land Net"
  label "other"
  directed 0
  node [
    id 0
    label "V&#228;xj&#246;"
    Longitude 14.80906
    Latitude 56.87767
  ]
  node [
    id 1
    label "V&#228;xj&#246;"
    Longitude 14.16  Latitude 57.78
  ]
  node [ id 7 label "hub" hyperedge 1 graphics [ x 1 y 2 [ z 3 ] ] ]
  node [ id 9 label "???" ]
  edge [ source 0 target 1 LinkSpeed "2.5" LinkSpeedUnits "G" LinkSpeedRaw 2500000000.0 ]
  edge [ source 1 target 0 LinkLabel "Peering, 155 Mbps OC-3" ]
  edge [ source 1 target 7 LinkLabel "STM-4" ]
  edge [ source 7 target 9 LinkSpeed "34" LinkSpeedUnits "M" ]
  edge [ source 9 target 9 ]
]
